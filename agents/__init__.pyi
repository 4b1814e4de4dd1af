from .base import Agent as Agent
from .dexwm.agent import DexWM as DexWM
from .diffusion_policy.agent import DiffusionPolicy as DiffusionPolicy
from .planning.planner_config import PlannerConfig as PlannerConfig
from .registry import make_agent as make_agent
