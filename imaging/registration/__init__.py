"""Where the anatomy lies on the MR elastogram: rigid registration, how sure it is, and whether it failed."""
