"""Speed of the robust methods that learn from data, against plain loops."""
