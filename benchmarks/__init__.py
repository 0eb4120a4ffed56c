"""Speed, memory and accuracy, each a script that writes JSON with date and commit.

python -m benchmarks.start     import and start-up times
python -m benchmarks.speed     speed, memory and the stage table on a long clip
"""
