"""What people look at: scores against truth and the page of a session. It reads finished files and solves nothing."""
