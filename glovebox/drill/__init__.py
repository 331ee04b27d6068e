"""The escape drill: what a hostile scanner tries, and the judgement of what came of it."""
