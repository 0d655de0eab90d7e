# Runs in each kernel that `labkit lab` starts: whoever runs a lesson's cell before its set-up,
# after a restart say, is told which cell to run.
from labkit.lessons.wayback import explain_missing_names

explain_missing_names()
del explain_missing_names
