"""A data channel in memory that is at least as strict about memory as the real one; see channel_contract.py for what both do."""

from __future__ import annotations

import itertools
from collections import deque

from twisted.internet.defer import Deferred, fail, succeed

from twsync.errors import SessionError, TwsyncError
from twsync.limits import MIB
from twsync.peerwire import messages
from twsync.peerwire.frames import Decoder, Frame, FrameType, encode
from twsync.transport.buffers import Buffers

#: Bytes that wait for who does not read; the wire takes no more then.
WINDOW = 4 * MIB


class MemoryChannel:
    """One end of a data channel in memory; frames go through the real encoder and decoder.

    What is sent is held by reference until the wire takes it, frame by frame, each in a later turn of the loop than it was sent in; only
    then `drained` fires. So memory that is used for something else too early arrives as something else.

    :param loop: runs calls, and has a clock.
    :param spoil: called with each frame as the wire takes it (its number, the frame, its bytes); returns the bytes to send, None for
        cutting the connection instead.
    :param rate: bytes a second that the wire takes; None: all at once.
    """

    def __init__(self, loop, spoil=None, rate=None):
        self.loop = loop
        self.rate = rate
        self.other = None
        self.hello = None
        self.spoil = spoil
        self.sent_frames = []
        self.numbers = itertools.count()
        self.wire_sent = self.wire_received = 0
        self._buffers = Buffers()
        self._decoder = Decoder(memory=self._buffers)
        self._receiver = None
        self._paused = False
        # Frames that the wire has not taken; None behind them: the end.
        self._outbox = deque()
        self._carrying = False
        self._waiting = []
        self._inbox = deque()
        self._ended = None
        self._broken = False
        self._told = False

    @classmethod
    def pair(cls, loop, *ends):
        """Two ends; `ends` may give the other arguments of each."""
        one, two = (cls(loop, *end) for end in ends or ((), ()))
        one.other, two.other = two, one
        return one, two

    # --- sending ---------------------------------------------------------------------------------------------------------------------

    def send(self, message):
        self.send_frame(Frame(FrameType.CONTROL, messages.encode(message)))

    def send_bulk(self, kind, transfer, payload):
        self.send_frame(Frame(kind, payload, transfer))

    def send_frame(self, frame):
        if self._ended is None:
            self.sent_frames.append(frame)
            self._put(frame)

    def drained(self):
        if self._ended is not None:
            return fail(self._ended)
        if not self._outbox:
            return succeed(None)
        self._waiting.append(waiting := Deferred(lambda gone: self._waiting.remove(gone)))
        return waiting

    def _put(self, frame):
        self._outbox.append(frame)
        self._carry_on()

    def _carry_on(self):
        full = not self.other._broken and sum(map(len, filter(None, self.other._inbox))) >= WINDOW
        if self._carrying or not self._outbox or full:
            return
        self._carrying = True
        if self.rate is None or self._outbox[0] is None:
            self._later(self._carry)
        else:
            self.loop.callLater(len(self._outbox[0].payload) / self.rate, self._carry)

    def _carry(self):
        self._carrying = False
        if not self._outbox:  # it was cut meanwhile
            return
        if self._paused and self.other._broken:  # who does not read notices by what it sends
            self._lose()
            return
        frame = self._outbox.popleft()
        if frame is None:
            self.other._arrive(None)
            return
        data = encode(frame)
        if self.spoil is not None:
            data = self.spoil(next(self.numbers), frame, data)
            if data is None:
                self.cut()
                return
        self.wire_sent += len(data)
        self.other._arrive(data)
        self._carry_on()
        if not self._outbox:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.callback(None)

    # --- receiving -------------------------------------------------------------------------------------------------------------------

    def receive(self, receiver):
        self._receiver = receiver
        self._told = False
        self._later(self._deliver)

    def pause(self):
        self._paused = True

    def resume(self):
        self._paused = False
        self._later(self._deliver)

    def _arrive(self, data):
        self._inbox.append(data)
        self._later(self._deliver)

    def _deliver(self):
        while self._inbox and not self._paused and self._receiver is not None and self._ended is None:
            data = self._inbox.popleft()
            if data is None:
                self._lose()
                return
            self.wire_received += len(data)
            self.other._carry_on()
            try:
                for frame in self._decoder.feed(data):
                    self._receiver.frame_received(frame)
            except TwsyncError as error:
                self.close(error)
        self._tell()

    # --- the end ---------------------------------------------------------------------------------------------------------------------

    def close(self, error=None):
        if self._ended is not None:
            return
        if error is not None:
            self.send(messages.Error(error.code, error.message[:500]))
        self._put(None)
        self._end(error or SessionError("The connection was closed.", "closed"))

    def abort(self):
        if self._ended is None:
            self._break(SessionError("The connection was closed.", "closed"))

    def cut(self):
        """The connection breaks; what the wire has taken still arrives."""
        self._break(SessionError("The connection to the other device was lost.", "connection-lost"))

    def _break(self, error):
        self._broken = True
        self._outbox.clear()
        self._end(error)
        self.other._arrive(None)
        self.other._carry_on()

    def _lose(self):
        self._outbox.clear()
        self._end(SessionError("The connection to the other device was lost.", "connection-lost"))

    def _end(self, error):
        if self._ended is None:
            self._ended = error
            self._buffers.close()
            self._later(self._tell)
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                each.errback(error)

    def _tell(self):
        if self._ended is not None and self._receiver is not None and not self._told:
            self._told = True
            self._receiver.channel_lost(self._ended)

    def _later(self, call):
        self.loop.callFromThread(call)
