"""Two-way binding of Qt properties: a text field and a variable that are always equal."""

from PySide6.QtCore import QMetaProperty, QObject


def bind(left: QObject, left_name: str, right: QObject, right_name: str) -> None:
    """Makes two properties equal, and keeps them so: when one changes, the other follows.

    This would go round in circles, but for the rule that all setters of Qt keep: a property that is
    set to the value it has emits no signal.

    Args:
        left: object whose property takes the value of the other now.
        left_name: a property that has a signal for its changes.
        right: object whose property is left as it is now.
        right_name: a property of the same type, with a signal too.
    """
    left.setProperty(left_name, right.property(right_name))
    for (source, name), (target, target_name) in (
        ((left, left_name), (right, right_name)), ((right, right_name), (left, left_name))
    ):
        changed = getattr(source, signal_of(source, name))
        # The arguments are bound here: a closure would see those of the last round of the loop.
        changed.connect(lambda value, to=target, name=target_name: to.setProperty(name, value))


def signal_of(owner: QObject, name: str) -> str:
    """Returns the name of the signal that tells of the changes of a property."""
    about = owner.metaObject()
    found: QMetaProperty = about.property(about.indexOfProperty(name))
    if not found.hasNotifySignal():
        raise ValueError(f"{name} of {owner} has no signal for its changes")
    return found.notifySignal().name().toStdString()
