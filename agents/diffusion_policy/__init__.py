"""Goal-conditioned Diffusion Policy (paper App. C.3), trained by behaviour cloning."""
