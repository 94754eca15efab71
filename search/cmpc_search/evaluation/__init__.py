"""What queries found, one by one, and how sure the means over them are."""
