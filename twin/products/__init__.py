"""What a twin leaves on disk for people and programs: maps, tables and records in a user's units."""
