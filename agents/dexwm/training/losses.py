"""What each training stage minimises."""

import torch
from torch import Tensor

from dexbench.agents.dexwm.model.encoder import PixelDecoder
from dexbench.agents.dexwm.model.keypoint_loss import hands_loss
from dexbench.agents.dexwm.model.object_loss import object_loss
from dexbench.agents.dexwm.model.world_model import DexWMModel

from .config import HAND_WEIGHT
from .hands import Hands
from .object_moves import Moves, move_loss


def autoencoder_loss(
    model: DexWMModel,
    decoder: PixelDecoder,
    images: Tensor,
    hands: Hands,
    weight: float,
    objects: Tensor | None = None,
    object_weight: float = 0.0,
    moves: Moves | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Stage 1: pixel reconstruction plus keypoints, where objects are, and how they move.

    Args:
        model: Its encoder and head are trained.
        decoder: Trained along; it draws latents for people.
        images: ``(B, 1, H, W, 3)`` in 0..255.
        hands: In windows of that one frame.
        weight: Weight of the keypoint loss.
        objects: Whether pixels show an object, ``(B, 1, 112, 196)`` bool; for a model with an
            object map.
        object_weight: Weight of its loss.
        moves: Windows from which its step learns; likewise.

    Returns:
        The loss and its parts.
    """
    flat = images.flatten(0, 1)
    latent = model.encoder(flat)
    pixels = _pixel_error(decoder, latent, flat)
    error = hands_loss(model.head, latent, hands.points[:, 0], hands.known[:, 0])
    loss, parts = pixels + weight * error, {"pixels": pixels, "keypoints": error}
    if model.objects is not None and objects is not None:
        parts["objects"] = object_loss(model.objects(latent), objects[:, 0])
        loss = loss + object_weight * parts["objects"]
    if moves is not None and model.predictor.step is not None:
        parts["moves"] = move_loss(model.predictor.step, moves)
        loss = loss + object_weight * parts["moves"]
    return loss, parts


def prediction_loss(
    model: DexWMModel,
    states: Tensor,
    hands: Hands,
    weight: float,
    history: int | None = None,
    objects: Tensor | None = None,
    object_weight: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of stages 2 and 3: L_state + lambda L_HC of predicted states (paper 3.3).

    With an object map the same is asked for objects as for the hand.

    Args:
        model: Its predictor and head are trained.
        states: ``(B, F, P, C)`` true latents.
        hands: In those F frames.
        weight: Weight lambda of the hand-consistency loss. At 0 the predictor learns from L_state
            alone, and the head, with its usual weight, from true latents alone.
        history: None predicts every next state from true ones; a number rolls out from that many
            true states, feeding predictions back.
        objects: Whether pixels show an object, ``(B, F, 112, 196)`` bool; for a model with an
            object map.
        object_weight: Weight of its loss.

    Returns:
        The loss and its parts.
    """
    actions = placed_actions(model, hands)
    first = history or 1
    if history is None:
        predicted = model.predictor(states[:, :-1], actions)
    else:
        taken = model.leading(actions[:, : first - 1], hands.way[:, 0, 0])
        past = model.predictor.encode_history(states[:, :first], actions=taken)
        predicted = model.rollout(past, states[:, first - 1], actions[:, first - 1 :])
    target, points, known = states[:, first:], hands.points[:, first:], hands.known[:, first:]
    # How objects move is asked of their map alone.
    state = (predicted - target)[..., : model.config.latent_dim].float().square().mean()

    def of_predicted() -> Tensor:
        flat = (values.flatten(0, 1) for values in (predicted, points, known))
        return hands_loss(model.head, *flat)

    def of_last(latent: Tensor) -> Tensor:
        return hands_loss(model.head, latent, points[:, -1], known[:, -1])

    if weight:
        error = of_predicted()
        # The goal is read off a true state, so the head must stay right on those too.
        real = of_last(target[:, -1])
        loss = state + weight * (error + real)
    else:
        with torch.no_grad():
            error = of_predicted()
        real = of_last(target[:, -1].detach())
        loss = state + HAND_WEIGHT[model.config.head] * real
    parts = {"state": state, "hands": error, "real": real}
    if model.objects is not None and objects is not None:
        shown, before = objects[:, first:], objects[:, :1].expand_as(objects[:, first:])
        logits = model.objects(predicted.flatten(0, 1))
        parts["objects"] = object_loss(logits, shown.flatten(0, 1), before.flatten(0, 1))
        # The goal's objects are read off a true state, as its hand is.
        parts["real_objects"] = object_loss(model.objects(target[:, -1]), objects[:, -1])
        loss = loss + object_weight * (parts["objects"] + parts["real_objects"])
    return loss, parts


def placed_actions(model: DexWMModel, hands: Hands) -> Tensor:
    """Return the actions in windows as the predictor takes them, see ``DexWMModel.placed``."""
    return model.placed(hands.actions, hands.way)


def end_to_end_loss(
    model: DexWMModel,
    decoder: PixelDecoder,
    images: Tensor,
    hands: Hands,
    weight: float,
    history: int | None = None,
    objects: Tensor | None = None,
    object_weight: float = 0.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``prediction_loss`` through the encoder: both sides of L_state move towards each other.

    Alone they would meet in a constant; reconstruction asks the latent to tell pictures apart.

    Args:
        model: All of it is trained.
        decoder: Trained along.
        images: ``(B, F, H, W, 3)`` in 0..255.
        hands: In those F frames.
        weight: Weight lambda of the hand-consistency loss.
        history: As in ``prediction_loss``.
        objects: Likewise.
        object_weight: Likewise.

    Returns:
        The loss and its parts.
    """
    flat = images.flatten(0, 1)
    latent = model.encoder(flat)
    pixels = _pixel_error(decoder, latent, flat)
    states = latent.unflatten(0, images.shape[:2])
    loss, parts = prediction_loss(model, states, hands, weight, history, objects, object_weight)
    return pixels + loss, {"pixels": pixels, **parts}


def _pixel_error(decoder: PixelDecoder, latent: Tensor, images: Tensor) -> Tensor:
    """Mean squared error of the pictures ``(B, H, W, 3)`` decoded from ``(B, P, C)``."""
    target = decoder.patches(images.float() / 64 - 2)
    error: Tensor = decoder(latent).float() - target
    return error.square().mean()
