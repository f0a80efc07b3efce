"""Answer to a question about one region of a finished session: figures from joint draws, in several formats."""
