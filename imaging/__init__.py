"""Wave fields from the scanner's files, and files that a viewer reads from maps."""
