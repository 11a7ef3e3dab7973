"""What a machine has, as its files say."""

from __future__ import annotations

from fromzero.hardware import this_machine


def test_nvidia_devices_are_found_by_number_and_in_order(tmp_path):
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()

    assert this_machine(devices=tmp_path).gpus == ("2", "10")


def test_no_device_directory_is_no_gpu(tmp_path):
    assert this_machine(devices=tmp_path / "absent").gpus == ()


def test_a_limit_below_the_machines_memory_counts(tmp_path):
    limit = tmp_path / "memory.max"
    whole = this_machine(limit=limit).memory
    limit.write_text("1048576\n")

    assert whole is not None
    assert this_machine(limit=limit).memory == 1 << 20
    limit.write_text("max\n")
    assert this_machine(limit=limit).memory == whole
    limit.write_text(f"{whole * 2}\n")
    assert this_machine(limit=limit).memory == whole
