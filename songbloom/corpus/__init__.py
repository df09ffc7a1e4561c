"""Songs with exact labels, made by rule, to train and measure with. See `compose`, `render`, `label_frames`."""
