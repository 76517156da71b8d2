"""A mailbox of one: how a fast thread hands its newest item to a slow one."""

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Holds the newest item only.

    A queue between a camera and a slow network grows without end, and what is shown lags further
    and further behind. Here a new item replaces one that nobody has taken.

    Attributes:
        dropped: how many items were replaced before they were taken.
    """

    def __init__(self) -> None:
        """Creates an empty mailbox."""
        self.dropped = 0
        self._item: Item | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Item) -> bool:
        """Puts an item in, never waits; returns whether the mailbox was empty.

        If it was not, the receiver has been told already, and need not be told again.
        """
        with self._changed:
            was_empty = self._item is None
            self.dropped += not was_empty
            self._item = item
            self._changed.notify()
            return was_empty

    def take(self) -> Item | None:
        """Takes the item out, without waiting; returns None if there is none."""
        with self._changed:
            item, self._item = self._item, None
            return item

    def wait(self) -> Item | None:
        """Takes the item out, waits for one if necessary; returns None after `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._item is not None)
            item, self._item = self._item, None
            return None if self._closed else item

    def close(self) -> None:
        """Ends all waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
