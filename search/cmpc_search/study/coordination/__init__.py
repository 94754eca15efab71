"""How several processes work on one study: the promise, and one file for each way of keeping it."""
