"""What does a user set, and where: a file, the environment, flags; targets of the user's own."""
