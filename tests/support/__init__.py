"""What several tests share: stand-ins, small sets, synthetic files."""
