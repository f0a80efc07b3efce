"""Streams of dated numbers beside a tumour's images: laboratory values, scores, drug levels, devices."""
