"""The environments of the tasks. Their docstrings are the tasks' data sheets."""

from .gym_env import DexBenchEnv


class ReachEnv(DexBenchEnv):
    """Reach: bring the right hand to where the goal image shows it.

    ## Action space
    `Box(23,) float32`: absolute joint targets in rad, order arm 7, index 4, middle 4, ring 4,
    thumb 4, held for 0.1 s.

    ## Observation space
    | key | shape | what |
    | --- | --- | --- |
    | pixels | (224, 392, 3) uint8 | head camera, RGB, upright |
    | goal | (224, 392, 3) uint8 | the same view of the goal state |
    | agent_pos | (23,) float32 | achieved joint angles, rad |
    | agent_target | (23,) float32 | last commanded targets, rad; repeat them to hold a grip |
    | keypoints | (21, 3) float32 | hand keypoints, camera frame, m (link origins, MANO order) |
    | steps_left | (1,) int64 | control steps to the end of the episode |

    ## Reward
    1 while the mean distance of wrist and four fingertips to the goal's is below 15 cm, else 0.

    ## Starting state
    A kitchen with three to five objects; the hand at rest, at least 30 cm from its goal.

    ## Episode end
    Truncated after 60 steps (6 s); success never ends an episode.

    ## Version history
    v1: first.
    """

    task_name = "reach"


class GraspEnv(DexBenchEnv):
    """Grasp: close the right hand on the object as the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the wrist is within 20 cm of the object and the hand touches it, else 0.

    ## Starting state
    The open hand above or before an object, the wrist 21-35 cm from it, no contact.

    ## Version history
    v1: first.
    """

    task_name = "grasp"


class PlaceEnv(DexBenchEnv):
    """Place: carry the object in the hand to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 10 cm of its position in the goal, else 0.

    ## Starting state
    The object held above the counter, at least 25 cm from its goal.

    ## Version history
    v1: first.
    """

    task_name = "place"


class PushEnv(DexBenchEnv):
    """Push: move the object over the counter to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 5 cm of its position in the goal, in the plane, else 0.

    ## Starting state
    The open hand near an object on the counter, no contact; the object 12-25 cm from its goal. The
    goal image shows the robot where it began.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "push"


class PickEnv(DexBenchEnv):
    """Pick: lift the object in the hand to where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the object is within 7 cm of its position in the goal and the hand touches it, else 0.

    ## Starting state
    That of ``GraspEnv``; the goal is at least 12 cm above the object.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "pick"


class CarryEnv(DexBenchEnv):
    """Carry: set the object in the hand down where the goal image shows it.

    Action and observation spaces and episode end are those of ``ReachEnv``. The goal image is drawn
    without the robot.

    ## Reward
    1 while the object is within 5 cm of its position in the goal, else 0.

    ## Starting state
    That of ``PlaceEnv``. In the goal the object rests on the counter.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "carry"


class AvoidEnv(DexBenchEnv):
    """Avoid: bring the hand to the other side of an object, and move no object.

    Action and observation spaces and episode end are those of ``ReachEnv``.

    ## Reward
    1 while the mean distance of wrist and four fingertips to the goal's is below 10 cm and no
    object has moved by over 3 cm since the start, else 0.

    ## Starting state
    The hand low over the counter beside an object, at least 20 cm from its goal on the other side.
    The straight way of the joints moves an object by over 3 cm.

    ## Version history
    v1: first; its trials are in suite v2.
    """

    task_name = "avoid"


class TaskEnv(DexBenchEnv):
    """The environment of any registered task.

    Args:
        task: The task's name.
    """

    def __init__(self, task: str):
        self.task_name = task
        super().__init__()


def make_env(task: str) -> DexBenchEnv:
    """Return the environment of a registered task that has no Gymnasium id.

    Raises:
        UserError: No task of that name is registered.
    """
    return TaskEnv(task)
