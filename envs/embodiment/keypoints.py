"""Which keypoint of the hand and which joint of the robot is which: every index set by its name.

The hand has 21 keypoints in MANO order. The Allegro has four fingers, so that the last four
keypoints, of the little finger, repeat the ring finger's. Joints are in action order: the right
arm, then the hand.
"""

from .robot import ARM, N_JOINTS

KEYPOINTS = (
    "wrist",
    *(
        f"{finger}_{i}"
        for finger in ("thumb", "index", "middle", "ring", "little")
        for i in range(4)
    ),
)
"""The 21 keypoints in MANO order. They are link origins: `*_3` is the origin of the finger's last
link, 7-8 cm short of its tip; `little` is a copy of `ring`."""
N_KEYPOINTS = len(KEYPOINTS)
"""21."""

WRIST = KEYPOINTS.index("wrist")
"""Index of the wrist: 0."""
DISTINCT = tuple(i for i, name in enumerate(KEYPOINTS) if not name.startswith("little"))
"""Indices of the 17 keypoints that are no copies: 0 to 16."""
N_DISTINCT = len(DISTINCT)
"""17. ``[:N_DISTINCT]`` picks the distinct keypoints too, as they come first."""
TIPS = (4, 8, 12, 16)
"""Indices of the tips of thumb, index, middle and ring finger."""
WRIST_AND_TIPS = (WRIST, *TIPS)
"""Indices of the wrist and the four fingertips, all distinct."""
PAPER_KEYPOINTS = (*WRIST_AND_TIPS, WRIST_AND_TIPS[-1])
"""Indices of the six keypoints of a hand that the paper's head predicts: the wrist and five tips.
The little finger's tip is the ring finger's."""

ARM_JOINTS = slice(0, len(ARM))
"""The 7 joints of the arm."""
HAND_JOINTS = slice(len(ARM), N_JOINTS)
"""The 16 joints of the hand, four of each finger, in the order of `FINGERS`."""
N_ARM_JOINTS = len(ARM)
"""7."""
N_HAND_JOINTS = N_JOINTS - len(ARM)
"""16."""
