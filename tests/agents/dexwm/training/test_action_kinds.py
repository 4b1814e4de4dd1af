"""World models of other actions (paper Table 3): the camera's alone, the upper body's."""

import dataclasses
import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.recorded import write_droid, write_egodex
from support.stand_ins import busy_predictor
from support.synthetic_store import write_store
from support.trainings import SMALL, config

from dexbench.agents.dexwm.agent import DexWM
from dexbench.agents.dexwm.model.checkpoint import load_model
from dexbench.agents.dexwm.model.config import ModelConfig
from dexbench.agents.dexwm.model.sizes import sized
from dexbench.agents.dexwm.model.world_model import DexWMModel, hand_action
from dexbench.agents.dexwm.training.train import train
from dexbench.agents.learning.episodes import load_episodes
from dexbench.agents.learning.hand_way import ASKED, MOMENTS, commanded, straight
from dexbench.agents.learning.recordings import load_clips
from dexbench.data_collection.readers.layouts import open_layout
from dexbench.envs.embodiment import camera
from dexbench.envs.embodiment.kinematics import HandKinematics
from dexbench.utils.errors import UserError

KINDS = {"hands": 132, "camera": 6, "body": 66}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for number in range(3):
        write_egodex(root / "people", f"part1/stack/{number}", 40, number)
    write_droid(root / "arms", "AUTOLab/success/2023-07-01/a", 30)
    write_droid(root / "arms", "AUTOLab/success/2023-07-02/a", 30)
    return root / "people", root / "arms", write_store(root / "robot", frames=30)


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")

    @functools.cache
    def weights(kind):
        model, out = dataclasses.replace(SMALL, action=kind), root / f"{kind}.safetensors"
        train(config(folders[0], out, steps=(1, 2, 2), model=model))
        return out

    return weights


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind_is_trained_and_says_which_it_is(trained, kind):
    model, _ = load_model(trained(kind))
    assert model.config.action == kind and model.config.action_dim == KINDS[kind]
    assert model.predictor.action[0].in_features == KINDS[kind]
    assert ("action" in model.config.settings()) == (kind != "hands"), "old files stay as they are"


@pytest.mark.parametrize("kind", KINDS)
def test_training_reads_what_the_reader_says_of_a_kind(folders, tmp_path, kind):
    clips = load_clips([folders[0]], tmp_path, progress=False, action=kind)
    layout = open_layout(folders[0])
    poses = layout.clip(layout.names()[1]).poses()
    index = clips.first[1] + np.array([[0, 1, 4, 9]])
    expected = poses.at(np.array([0, 1, 4, 9])).actions(kind).reshape(1, 3, KINDS[kind])
    assert np.array_equal(clips.hands_at(index).actions, expected) and expected.any()


def test_all_kinds_share_pictures_and_features(folders, tmp_path):
    first = load_clips([folders[0]], tmp_path, progress=False)
    second = load_clips([folders[0]], tmp_path, progress=False, action="body")
    assert first.digest == second.digest and first.body is None
    assert second.body.shape == (len(second.frames), 18, 3)


def test_a_model_of_the_camera_does_not_hear_of_hands(folders, tmp_path):
    """NWM*: other hands in the same clips change nothing that it predicts, but DexWM's."""
    predicted = {}
    for kind in ("camera", "hands"):
        settings = dataclasses.replace(SMALL, action=kind)
        predictor = busy_predictor(settings)
        clips = load_clips([folders[0]], tmp_path, progress=False, action=kind)
        moved = dataclasses.replace(clips, hands=clips.hands[::-1].copy())
        index = np.arange(12).reshape(3, 4)
        torch.manual_seed(1)
        states = torch.randn(3, 3, settings.tokens, settings.latent_dim)
        with torch.no_grad():
            predicted[kind] = [
                predictor(states, torch.from_numpy(data.hands_at(index).actions))
                for data in (clips, moved)
            ]
    assert torch.equal(*predicted["camera"])
    assert not torch.equal(*predicted["hands"])


def test_the_robot_and_a_gripper_have_no_body(folders, tmp_path):
    model = dataclasses.replace(SMALL, action="body")
    for data in (folders[2:], folders[:2]):
        settings = config(folders[2], tmp_path / "w.safetensors", model=model, data=data)
        with pytest.raises(UserError, match="has no upper body, .* EgoDex's layout alone"):
            train(dataclasses.replace(settings, data=tuple(data)))
    with pytest.raises(UserError, match="the robot has none"):
        DexWMModel(model).action(torch.zeros(1, MOMENTS, 21, 3))


def test_to_a_model_of_the_camera_the_robot_does_nothing(folders, tmp_path):
    model = dataclasses.replace(SMALL, action="camera")
    train(config(folders[2], tmp_path / "w.safetensors", steps=(1, 1, 1), model=model))
    made, _ = load_model(tmp_path / "w.safetensors")
    action = made.action(straight(torch.zeros(2, 3, 21, 3), torch.ones(2, 3, 21, 3)))
    assert torch.equal(action, torch.zeros(2, 3, 6))
    assert torch.equal(made.leading(action, torch.ones(2, 21, 3)), torch.zeros(2, 4, 6))


def test_planners_refuse_what_does_not_tell_of_the_hand(trained):
    for kind in ("camera", "body"):
        with pytest.raises(UserError, match=f"'{kind}' kind, which do not tell .* hand does"):
            DexWM(weights=trained(kind))
    DexWM(weights=trained("hands"))


def test_fine_tuning_keeps_the_kind(folders, trained, tmp_path):
    with pytest.raises(UserError, match="other actions, than this run's"):
        train(config(folders[0], tmp_path / "w.safetensors", init=trained("camera")))


def test_the_papers_sizes_have_the_kind_that_is_asked_for():
    for kind, numbers in KINDS.items():
        model = sized("S", model=ModelConfig(action=kind))
        assert model.action_dim == numbers and model.predictor_dim == 384
        assert sized("compact", "efficientnet-lite0", ModelConfig(action=kind)).action == kind
    with pytest.raises(UserError, match="fixes the model but for --model.action"):
        sized("S", model=ModelConfig(action="camera", predictor_blocks=2))


def test_kinds_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="'arms'; choose one of hands, camera, body"):
        ModelConfig(action="arms")
    with pytest.raises(UserError, match="only model.action 'hands' tells"):
        ModelConfig(action="camera", hand_maps=True)


def test_commanded_actions_lead_to_what_joint_targets_ask_for(folders, tmp_path):
    clips = load_clips([folders[2]], tmp_path, progress=False, commanded=True)
    reached = load_clips([folders[2]], tmp_path, progress=False)
    episodes = load_episodes([folders[2]], tmp_path, progress=False)
    start = int(clips.first[1])
    index = start + np.array([[0, 2, 5], [3, 4, 8]])
    hands = clips.hands_at(index)
    asked = camera.base_to_camera(HandKinematics().keypoints(torch.from_numpy(episodes.targets)))
    expected = asked[torch.from_numpy(index) - 1]
    expected[0, 0] = torch.from_numpy(episodes.keypoints[start])  # no target led there
    points = reached.hands_at(index).points[:, :, 1]
    assert np.allclose(hands.way[:, :, 0], points[:, :-1], atol=1e-6), "where the hand is"
    assert np.allclose(hands.way[:, :, 1], expected[:, :-1], atol=1e-6)
    assert np.allclose(hands.way[:, :, -1], expected[:, 1:], atol=1e-6)
    joints = torch.lerp(
        *torch.from_numpy(episodes.targets[[start + 3, start + 7]]), 2 / (ASKED - 1)
    )
    between = camera.base_to_camera(HandKinematics().keypoints(joints))
    assert np.allclose(hands.way[1, 1, 3], between, atol=1e-5), "an arc, straight in joint space"
    moves = hand_action(torch.from_numpy(points[:, :-1]), expected[:, 1:])
    assert np.allclose(hands.actions, moves, atol=1e-6) and moves.any()
    # What the head is asked for stays the hand that was reached.
    assert np.array_equal(hands.points, reached.hands_at(index).points)
    assert not np.allclose(hands.actions, reached.hands_at(index).actions, atol=1e-3)


def test_a_planner_tells_a_commanded_model_what_it_commands(folders, tmp_path):
    """As training: from where the hand is to what is asked; later, from where it sees the hand."""
    model = dataclasses.replace(SMALL, commanded=True, hand_maps=True)
    train(config(folders[2], tmp_path / "w.safetensors", steps=(1, 1, 1), model=model))
    agent = DexWM(weights=tmp_path / "w.safetensors")
    told = []
    agent.model.action = lambda way: (
        told.append(way)
        or agent.model.placed(hand_action(way[..., 0, :, :], way[..., -1, :, :]), way)
    )
    first, second = (agent.lower * share + agent.upper * (1 - share) for share in (0.4, 0.6))
    agent.reset("push", 0)
    with torch.no_grad():
        for target in (first, second):
            picture = np.zeros((camera.HEIGHT, camera.WIDTH, 3), np.uint8)
            points = np.full((21, 3), 1 + len(told), np.float32)
            obs = {"pixels": picture, "goal": picture, "keypoints": points}
            context = agent.observe({**obs, "agent_target": target.numpy()})
        read = torch.arange(17.0)[:, None].expand(1, 17, 3)
        for shown in (True, False):
            agent.model.head.forward = lambda state, shown=shown: SimpleNamespace(
                points=lambda: read, shows_hand=lambda: torch.tensor([shown])
            )
            agent.roll_out(torch.stack([first, second])[None], context)
    _, seen, planned, later, _, unseen = told

    def asked(hand, before, after):
        hand = torch.as_tensor(hand, dtype=torch.float32).expand(21, 3)
        return commanded(HandKinematics(), hand, before, after)

    assert torch.allclose(seen[0], asked(1, first, second), atol=1e-6)
    assert torch.allclose(planned[0, 0], asked(2, second, first), atol=1e-6)
    little = torch.cat([read[0], read[0, 13:17]])  # it repeats the ring finger
    assert torch.allclose(later[0, 0], asked(little, first, second), atol=1e-5), "as the head sees"
    there = camera.base_to_camera(HandKinematics().keypoints(first))
    assert torch.allclose(unseen[0, 0], asked(there, first, second), atol=1e-5), "as was asked"


def test_commanded_actions_need_joint_targets(folders, tmp_path):
    with pytest.raises(UserError, match="needs joint targets.*own sets have"):
        load_clips([folders[0]], tmp_path, progress=False, commanded=True)
    with pytest.raises(UserError, match="model.commanded is about where the hand goes"):
        ModelConfig(action="camera", commanded=True)
    with pytest.raises(UserError, match="model.commanded needs --model.hand-maps"):
        ModelConfig(commanded=True)
