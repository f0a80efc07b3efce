"""Study page: which steps of which sessions are done, run or failed, and what they used."""
