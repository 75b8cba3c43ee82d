"""Speed of bandit learners, against rounds played one by one in Python."""
