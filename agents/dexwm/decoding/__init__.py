"""Training decoders that draw latent states for people."""
