"""From the scanner's files to a wave field, and from maps back to files a viewer reads."""
