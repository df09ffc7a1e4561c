"""Measures of songs: is it music, does it follow the style clip and the lyrics, does it end."""
