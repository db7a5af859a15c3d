source /tmp/pop/fn.sh
go mouse200 examples/evidence/populations_mouse.toml --set solver.iterations=200
go mouseW /tmp/pop/mouse_w.toml --set solver.iterations=100
