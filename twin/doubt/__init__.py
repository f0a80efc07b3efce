"""Where the doubt of a forecast comes from: shares of its variance by source."""
