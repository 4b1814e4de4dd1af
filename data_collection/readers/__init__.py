"""Recorded clips of robots and people, whoever recorded them, as one sample type.

Each layout on disk has a reader: `episodes` (the store), `egodex`, `droid`, `lerobot_droid` and
`released`. All give `Clip`s, which read as `Sample`s. `index` says what a folder holds.
"""
