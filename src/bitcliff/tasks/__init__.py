"""What of a network's output is its decision, for each task that can be assessed."""

from bitcliff.tasks.classification import Classification
from bitcliff.tasks.next_token import NextToken
from bitcliff.tasks.protocol import Task, judge_as, task_of
from bitcliff.tasks.threshold import Threshold

__all__ = ["Classification", "NextToken", "Task", "Threshold", "judge_as", "task_of"]
