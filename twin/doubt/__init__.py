"""Shares of a forecast's variance by source of its doubt."""
