"""Files that hold wave fields, maps, arrays and draws."""
