"""How long did it take, and may one believe it? Blocks, rounds, conditions, verdict, history."""
