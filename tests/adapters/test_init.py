import subprocess
import sys


def test_importing_the_room_imports_no_optional_package() -> None:
    code = (
        "import sys, bitcliff.adapters\n"
        "heavy = {'torchvision', 'timm', 'transformers', 'datasets', 'sklearn', 'PIL', 'foolbox'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
