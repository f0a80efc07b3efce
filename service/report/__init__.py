"""The page of a session: one file that opens without a network and shows stiffness with its uncertainty beside it."""
