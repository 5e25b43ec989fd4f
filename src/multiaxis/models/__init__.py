"""The networks. They know the axis room and nothing about files, weights or pictures."""
