"""What the engine costs on this machine, stage by stage (``songbloom bench``)."""
