"""One build of twsync, at work in a process of its own: started by that build's interpreter, told by lines of JSON what to do.

``{"do": "begin", "source": PATH, "number": N}``, ``{"do": "sync"}`` and ``{"do": "end"}`` come on standard input; each is answered by one
line on standard output. The end of the input ends the daemons. What measures is the tree's that started it; what is measured, the build's.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from twsync.delta import BACKEND
from wholesystem.ending import end_in_order
from wholesystem.twsync_tool import twsync_tool


def main() -> int:
    """Do what is asked until nothing more comes."""
    end_in_order()
    with twsync_tool(Path(sys.argv[1])) as tool:
        print(json.dumps({"core": BACKEND}), flush=True)
        for line in sys.stdin:
            asked = json.loads(line)
            answer: object = None
            if asked["do"] == "begin":
                answer = str(tool.begin(Path(asked["source"]), asked["number"]))
            elif asked["do"] == "sync":
                answer = tool.sync().document()
            else:
                tool.end()
            print(json.dumps({"answer": answer}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
