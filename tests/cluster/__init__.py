"""A real Kubernetes control plane, and nodes, as processes on this machine: for tests and for `./dev cluster`.

From a test: the fixtures `api_server`, `admin`, `namespace`, `cluster` (see `fixtures`). By hand, for a server of one's own:

    server = ApiServer(build.program(print), state)         # api_server, build; state: an empty folder
    await server.start()                                    # etcd and kube-apiserver; 3 s
    async with server.admin() as admin:                     # admin: get, create, patch, apply, delete, list, token_for, install
        await admin.install(Path("deploy"))
        token = await admin.token_for("akri-agent", "akri", node="node-a")
    await server.start_controller_manager()                 # the garbage collector alone; after the custom resources
    await server.part("kube-apiserver").kill()              # faults: stop, kill, pause, resume of each part
    await server.start()                                    # goes on with the data
    await states.clean(state)                               # ends all that was started for the folder and removes it

`processes`: one program of the cluster. `proxy`: an API server that fails on order. `nodes`: kubelet and containerd.
`states`: where state folders are, and how those of crashed runs are removed. `build`: the Kubernetes program.
"""
