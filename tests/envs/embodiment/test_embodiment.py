import itertools
import subprocess
import sys
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest
import torch

from dexbench.envs.assets import asset_root
from dexbench.envs.embodiment.arms_mjcf import arms_mjcf
from dexbench.envs.embodiment.camera import (
    CENTER,
    FOCAL,
    HEIGHT,
    WIDTH,
    base_to_camera,
    camera_to_base,
    project,
    unproject,
)
from dexbench.envs.embodiment.hand_mjcf import hand_mjcf
from dexbench.envs.embodiment.keypoints import KEYPOINTS
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.envs.embodiment.robot import (
    FINGERS,
    HAND,
    HIGHEST,
    INIT_ARM,
    JOINTS,
    LINKS,
    LOWER,
    LOWEST,
    UPPER,
    mirror_pos,
)
from dexbench.envs.rendering import HeadCamera
from dexbench.utils.seeding import rng

ARM_ROW = [0.1038, -1.0147, 0.1696, -2.8186, 0.6636, 2.9007, 0.9795]
HAND_ROW = [
    0.049,
    0.115,
    0.055,
    0.002,
    0.093,
    0.173,
    0.009,
    0.001,
    0.013,
    0.142,
    0.022,
    -0.007,
    0.365,
    0.959,
    0.224,
    -0.089,
]

# Published poses of the released robot: joints; wrist position in the base frame, m; wrist rotation
# vector, rad; pixels in the 960x600 picture of wrist, index tip, thumb tip and ring tip.
VECTORS = {
    "init": (
        [*INIT_ARM, *[0.0] * 16],
        (0.72121, -0.25800, 0.97870),
        (-1.45551, 0.58933, 0.55484),
        [(601.6, 439.3), (504.7, 457.5), (610.7, 494.6), (503.6, 414.6)],
    ),
    "reference": (
        ARM_ROW + HAND_ROW,
        (0.63446, -0.31844, 1.10308),
        (-1.17941, 0.90881, 0.11416),
        [(663.2, 433.1), (541.5, 402.3), (625.4, 488.2), (563.5, 369.4)],
    ),
}
SHOWN = ("wrist", "index_3", "thumb_3", "ring_3")


def whole_arm():
    """The generated right arm with its hand, as one model in the base frame."""
    root = ElementTree.fromstring(arms_mjcf(asset_root() / "robots" / "panda"))
    hand = ElementTree.fromstring(hand_mjcf("right"))
    wrist = root.find(".//body[@name='right_hand']")
    wrist.extend(hand.find("worldbody"))
    for section in ("asset", "actuator", "sensor", "contact"):
        root.append(hand.find(section))
    # robosuite says so in its own part of the XML.
    ElementTree.SubElement(root, "compiler", angle="radian")
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))


@pytest.fixture(scope="module")
def model():
    return whole_arm()


def keypoint_bodies():
    order = ("thumb", "index", "middle", "ring", "ring")
    return ["right_hand", *(link.body for finger in order for link in HAND[finger])]


def mujoco_keypoints(model, joints):
    """Keypoints (n, 21, 3) by MuJoCo of joint angles (n, 23)."""
    data = mujoco.MjData(model)
    addresses = [model.joint(name).qposadr[0] for name in JOINTS]
    bodies = [model.body(name).id for name in keypoint_bodies()]
    points = np.empty((len(joints), 21, 3))
    for row, out in zip(joints, points, strict=True):
        data.qpos[addresses] = row
        mujoco.mj_kinematics(model, data)
        out[:] = data.xpos[bodies]
    return points


def random_joints(count, *key):
    return rng("test", "joints", *key).uniform(LOWER, UPPER, (count, 23))


@pytest.mark.parametrize("name", VECTORS)
def test_released_poses_within_1_mm_and_1_px(model, name):
    joints, wrist, rotvec, pixels = VECTORS[name]
    kinematics = HandKinematics(dtype=torch.float64)
    points = kinematics.keypoints(torch.tensor(joints, dtype=torch.float64)).numpy()
    for found in (points, mujoco_keypoints(model, np.array([joints]))[0]):
        assert np.linalg.norm(found[0] - wrist) < 1e-3
        camera = base_to_camera(found[[KEYPOINTS.index(point) for point in SHOWN]])
        # The released picture has 600 rows at a field of view of 80 degrees.
        seen = camera[:, :2] / camera[:, 2:] * (300 / np.tan(np.radians(40))) + [480, 300]
        assert np.linalg.norm(seen - pixels, axis=1).max() < 1
    quat, turn = np.zeros(4), np.zeros(9)
    mujoco.mju_axisAngle2Quat(
        quat, np.array(rotvec) / np.linalg.norm(rotvec), np.linalg.norm(rotvec)
    )
    mujoco.mju_quat2Mat(turn, quat)
    found = kinematics.wrist(torch.tensor(joints, dtype=torch.float64))[1].numpy()
    assert np.abs(found - turn.reshape(3, 3)).max() < 1e-3


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float64, 1e-9)])
def test_batched_kinematics_agree_with_mujoco(model, dtype, limit):
    joints = random_joints(10_000)
    expected = mujoco_keypoints(model, joints)
    found = HandKinematics(dtype=dtype).keypoints(torch.tensor(joints, dtype=dtype))
    assert found.dtype == dtype
    assert np.linalg.norm(found.double().numpy() - expected, axis=-1).max() < limit


def test_kinematics_take_any_batch_and_have_a_gradient():
    kinematics = HandKinematics(dtype=torch.float64)
    joints = torch.tensor(random_joints(6, "batch"))
    flat = kinematics.keypoints(joints)
    assert torch.equal(kinematics.keypoints(joints.reshape(2, 3, 23)), flat.reshape(2, 3, 21, 3))
    assert torch.allclose(kinematics.keypoints(joints[0]), flat[0], atol=1e-14)
    leaf = joints[0].clone().requires_grad_()
    assert torch.autograd.gradcheck(kinematics.keypoints, (leaf,))


def test_keypoints_are_mano_ordered_and_little_copies_ring(model):
    assert KEYPOINTS[0] == "wrist"
    assert KEYPOINTS[1::4] == ("thumb_0", "index_0", "middle_0", "ring_0", "little_0")
    points = HandKinematics().keypoints(torch.tensor(random_joints(5, "order")).float())
    assert points.shape == (5, 21, 3)
    assert torch.equal(points[:, 17:], points[:, 13:17])
    assert not torch.allclose(points[:, 9:13], points[:, 13:17], atol=1e-3)


def test_no_float32_command_is_outside_the_joint_limits(model):
    assert (LOWEST.astype(np.float64) >= LOWER).all()
    assert (HIGHEST.astype(np.float64) <= UPPER).all()
    assert np.abs(LOWEST - LOWER).max() < 1e-6
    assert np.abs(HIGHEST - UPPER).max() < 1e-6
    limits = np.array([model.joint(name).range for name in JOINTS])
    assert np.abs(limits - np.stack([LOWER, UPPER], axis=1)).max() < 1e-6


def test_left_hand_is_the_right_hand_mirrored():
    right, left = (mujoco.MjModel.from_xml_string(hand_mjcf(side)) for side in ("right", "left"))
    one, other = mujoco.MjData(right), mujoco.MjData(left)
    mirror = np.diag([1.0, -1.0, 1.0])
    names = [link.joint for finger in FINGERS for link in HAND[finger]]
    assert [right.joint(i).name for i in range(right.njnt)] == names
    for row in random_joints(50, "mirror")[:, 7:]:
        for model, data in ((right, one), (left, other)):
            data.qpos[[model.joint(name).qposadr[0] for name in names]] = row
            mujoco.mj_kinematics(model, data)
        for link in itertools.chain(*HAND.values()):
            a, b = one.body(link.body), other.body(link.body)
            assert np.abs(a.xpos @ mirror - b.xpos).max() < 1e-7
            turned = mirror @ a.xmat.reshape(3, 3) @ mirror
            assert np.abs(turned - b.xmat.reshape(3, 3)).max() < 1e-7


def test_shoulders_are_mirror_images():
    model = whole_arm()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    right, left = data.body("right_fr3_link0").xpos, data.body("left_fr3_link0").xpos
    assert np.abs(right - (0.247, -0.050681, 0.65)).max() < 1e-4
    assert np.abs(left - mirror_pos(tuple(right))).max() < 1e-9


def test_camera_and_base_frames_are_inverse():
    points = rng("test", "points").uniform(-1, 1, (20, 3))
    assert np.allclose(camera_to_base(base_to_camera(points)), points, atol=1e-12)
    tensor = torch.tensor(points)
    assert np.allclose(base_to_camera(tensor).numpy(), base_to_camera(points), atol=1e-12)
    camera = base_to_camera(points + [1.5, 0, 0])
    pixels = project(camera)
    assert np.allclose(unproject(pixels, camera[:, 2]), camera, atol=1e-12)
    again = unproject(torch.tensor(pixels), torch.tensor(camera[:, 2]))
    assert np.allclose(again.numpy(), camera, atol=1e-12)
    # The optical axis, 1 m in, is the middle of the picture, 30 degrees down.
    ahead = np.array([0.212 + np.sqrt(0.75), 0, 1.614 - 0.5])
    assert np.allclose(project(base_to_camera(ahead)), CENTER)
    assert pytest.approx(146.14, abs=0.01) == FOCAL


def test_projection_is_what_mujoco_draws(scene):
    """Markers in the robot's base frame land on the pixels that `project` names."""
    from dexbench.envs.freeze import load

    columns, rows = np.meshgrid(np.linspace(30, WIDTH - 30, 5), np.linspace(30, HEIGHT - 30, 4))
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    pixels = pixels + rng("test", "pixels").uniform(-9, 9, pixels.shape)
    points = camera_to_base(unproject(pixels, np.full(len(pixels), 0.30)))
    root = ElementTree.fromstring(scene.xml)
    base = root.find(".//body[@name='robot0_base']")
    for i, point in enumerate(points):
        text = " ".join(f"{value:.9g}" for value in point)
        ElementTree.SubElement(
            base,
            "geom",
            name=f"marker{i}",
            type="sphere",
            size="0.006",
            pos=text,
            group="1",
            contype="0",
            conaffinity="0",
            mass="0",
        )
    model = load(ElementTree.tostring(root, encoding="unicode"), asset_root())
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = HeadCamera(model)
    seen = camera.segment(data)
    camera.close()
    assert seen.shape == (HEIGHT, WIDTH)
    for i, pixel in enumerate(pixels):
        found = np.argwhere(seen == model.geom(f"marker{i}").id)[:, ::-1] + 0.5
        assert len(found) > 10, "a marker is hidden"
        assert np.linalg.norm(found.mean(axis=0) - pixel) < 0.5


def test_tables_import_neither_simulator_nor_torch():
    script = (
        "import sys, dexbench.envs.embodiment.robot, dexbench.envs.embodiment.camera\n"
        "print(sorted({'torch', 'mujoco', 'robosuite'} & set(sys.modules)))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=300
    )
    assert out.stdout.strip() == "[]"
    assert len(LINKS) == len(set(JOINTS)) == 23
