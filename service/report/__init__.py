"""Page of a session: one file that opens without a network and shows stiffness beside its uncertainty."""
