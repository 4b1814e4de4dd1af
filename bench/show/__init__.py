"""Trials and scenes to look at: pictures, films, MuJoCo's viewer."""
