"""Processes that may die: messages, requests with a time limit, and answers whatever happens."""
