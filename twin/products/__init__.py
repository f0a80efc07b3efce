"""Output files of a twin for people and programs: maps, tables and records in a user's units."""
