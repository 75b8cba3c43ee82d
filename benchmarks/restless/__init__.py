"""Speed of decisions, training and bounds of coupled restless bandits."""
