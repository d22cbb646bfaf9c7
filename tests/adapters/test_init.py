import subprocess
import sys

HEAVY = ["torchvision", "timm", "transformers", "datasets", "sklearn", "PIL", "foolbox"]
SCRIPT = f"""
import sys
import bitcliff.adapters
print(sorted(set({HEAVY}) & set(sys.modules)))

from bitcliff.adapters import load_examples, load_model
from bitcliff.points import discover
subject = load_model("base-digits")
print(len(discover(subject.module, load_examples("digits", subject=subject, limit=4).inputs)))
print(sorted({{"sklearn", "pandas", "torch._dynamo"}} & set(sys.modules)))
"""


def test_importing_the_room_imports_no_optional_package_and_looking_at_digits_nothing_slow() -> (
    None
):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    heavy, points, slow = done.stdout.splitlines()
    assert heavy == "[]"
    assert int(points) > 0
    assert slow == "[]"
