"""A tiny random Cosmos-Predict2, as diffusers writes one; nothing is downloaded."""

import diffusers
import pytest
import torch

transformers = pytest.importorskip("transformers")

WIDTH = 16


class Checker(torch.nn.Module):
    """In place of NVIDIA's safety checker: refuses one word, and blackens a video if told to."""

    def __init__(self, blackens=False):
        super().__init__()
        self.blackens, self.videos = blackens, []

    dtype, device = torch.float32, torch.device("cpu")

    def check_text_safety(self, prompt):
        return "duck" not in prompt

    def check_video_safety(self, frames):
        self.videos.append(frames.shape)
        return 0 * frames if self.blackens else frames


def write_cosmos(folder):
    """Write the pipeline; return its folder."""
    letters = [(letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    tokenizer = transformers.T5TokenizerFast(vocab=[*special, *letters], extra_ids=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        text_encoder = transformers.T5EncoderModel(
            transformers.T5Config(
                vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2
            )
        )
        transformer = diffusers.CosmosTransformer3DModel(
            in_channels=17,
            out_channels=16,
            num_attention_heads=2,
            attention_head_dim=WIDTH,
            num_layers=1,
            mlp_ratio=1.0,
            text_embed_dim=WIDTH,
            adaln_lora_dim=4,
            concat_padding_mask=False,  # it takes torchvision
            extra_pos_embed_type=None,
        )
        vae = diffusers.AutoencoderKLWan(base_dim=3, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True)
    pipeline = diffusers.Cosmos2VideoToWorldPipeline(
        text_encoder, tokenizer, transformer, vae, scheduler, Checker()
    )
    pipeline.save_pretrained(folder)
    return folder
