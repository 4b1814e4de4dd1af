"""Layers that read a frozen encoder's latent states, trained apart from any world model."""
