"""The devices of a run, as a tf.distribute strategy."""

import tensorflow as tf

from tfbert.errors import InputError


def make_strategy(name="auto", virtual_devices=1):
    """Returns the tf.distribute strategy of that name.

    Args:
        name: "one_device": the first GPU, else the CPU. "mirrored": every GPU of this machine, or every virtual CPU
            device, the batch split among them. "auto": mirrored where there are several, else one_device.
        virtual_devices: int. Splits the CPU into so many devices; before anything else has used TensorFlow.

    Raises:
        InputError: TensorFlow has started already, so that the CPU can no longer be split.
    """
    if virtual_devices > 1:
        _split_cpu(virtual_devices)
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    devices = gpus or [device.name for device in tf.config.list_logical_devices("CPU")]
    if name == "one_device" or (name == "auto" and len(devices) == 1):
        return tf.distribute.get_strategy()
    # Virtual CPU devices share memory: adding up in one place is all that a reduction needs.
    return tf.distribute.MirroredStrategy(devices, None if gpus else tf.distribute.ReductionToOneDevice())


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError:
        have = len(tf.config.list_logical_devices("CPU"))
        if have != count:
            raise InputError(
                f"--virtual_devices={count} comes too late: TensorFlow runs already, with {have}. Start a new process."
            ) from None


def device_kind():
    """Returns "GPU" or "CPU": what the heavy work will run on."""
    return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
