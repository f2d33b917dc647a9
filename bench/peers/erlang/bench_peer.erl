%% The workloads for Erlang/OTP; erlang-peer beside this file says what each measures, and starts it.
-module(bench_peer).
-export([serve/0, run/3]).

-define(SIZES, [16, 64, 256, 1 bsl 10, 4 bsl 10, 16 bsl 10, 64 bsl 10, 256 bsl 10, 1 bsl 20, 4 bsl 20]).
-define(CALLERS, [1, 8, 64, 512]).

%% The server's node.
serve() ->
    {ok, _} = echo_server:start_named(echo),
    io:format("ready~n").

%% One run of a workload; Scale makes it shorter, Node is the server's (or none).
run(Workload, Scale, Node) ->
    Server = case Node of
                 none -> none;
                 _ -> pong = net_adm:ping(Node), rpc:call(Node, erlang, whereis, [echo])
             end,
    workload(Workload, fun(Full) -> max(1, trunc(Full * Scale)) end, Server).

workload('W1', Scale, _) ->
    {ok, Server} = echo_server:start(),
    calls(Server, Scale(100000), 7),
    Calls = Scale(1000000),
    result("W1", "call", "ns/call", timed(fun() -> calls(Server, Calls, 7) end) / Calls),
    Echo = spawn(fun echo/0),
    result("W1", "call (! and receive)", "ns/call", timed(fun() -> bare_calls(Echo, Calls) end) / Calls);
workload('W2', Scale, _) ->
    {ok, Server} = echo_server:start(),
    result("W2", "cast", "msg/s", cast_rate(Server, 7, Scale(2000000)));
workload('W3', Scale, Server) ->
    Payload = payload(64),
    latencies(Server, Scale(5000), Payload),
    {Nanoseconds, Each} = sequential(Server, Scale(20000), Payload),
    result("W3", "p50", "us", percentile(Each, 0.5) / 1000),
    result("W3", "p99", "us", percentile(Each, 0.99) / 1000),
    result("W3", "calls", "1/s", Scale(20000) / Nanoseconds * 1.0e9);
workload('W4', Scale, Server) ->
    {Rate, _} = concurrent(Server, 64, Scale(3000), fun(S, N) -> calls(S, N, payload(64)), [] end),
    result("W4", "calls", "1/s", Rate);
workload('W5', Scale, Server) ->
    result("W5", "64B", "msg/s", cast_rate(Server, payload(64), Scale(500000))),
    result("W5", "1KiB", "MB/s", cast_rate(Server, payload(1 bsl 10), Scale(200000)) * 1024 / 1.0e6),
    result("W5", "1MiB", "MB/s", cast_rate(Server, payload(1 bsl 20), Scale(1000)) * 1048576 / 1.0e6);
workload('W6', Scale, _) ->
    Count = Scale(100000),
    %% gen_servers first would leave memory for the processes to use again.
    spawns(Count, "spawn", "RSS", fun() -> spawn(fun idle/0) end);
workload('W6-gen_server', Scale, _) ->
    Count = Scale(100000),
    spawns(Count, "spawn (gen_server:start)", "RSS (gen_server)", fun() -> {ok, Pid} = echo_server:start(), Pid end);
workload(callers, Scale, Server) ->
    [begin
         Each = max(2, Scale(case Callers of 1 -> 10000; _ -> 60000 end) div Callers),
         {Rate, Latencies} = concurrent(Server, Callers, Each, fun(S, N) -> latencies(S, N, payload(64)) end),
         Name = integer_to_list(Callers),
         Sorted = list_to_tuple(lists:sort(Latencies)),
         result("callers", Name, "1/s", Rate),
         result("callers", Name ++ " p50", "us", percentile(Sorted, 0.5) / 1000),
         result("callers", Name ++ " p99", "us", percentile(Sorted, 0.99) / 1000)
     end || Callers <- ?CALLERS];
workload(sizes, Scale, Server) ->
    [begin
         Payload = payload(Bytes),
         Name = integer_to_list(Bytes),
         Casts = max(16, Scale(min(300000, max(64, (256 bsl 20) div Bytes)))),
         result("sizes", Name, "MB/s", cast_rate(Server, Payload, Casts) * Bytes / 1.0e6),
         Calls = max(10, Scale(min(3000, max(50, (64 bsl 20) div Bytes)))),
         {_, Each} = sequential(Server, Calls, Payload),
         result("sizes", Name ++ " p50", "us", percentile(Each, 0.5) / 1000),
         result("sizes", Name ++ " p99", "us", percentile(Each, 0.99) / 1000)
     end || Bytes <- ?SIZES].

result(Workload, Metric, Unit, Value) ->
    io:format("RES\tErlang/OTP ~s\t~s\t~s\t~s\t~.6g~n",
              [erlang:system_info(otp_release), Workload, Metric, Unit, float(Value)]).

payload(Bytes) -> binary:copy(<<7>>, Bytes).

%% Nanoseconds that Work takes.
timed(Work) ->
    Start = erlang:monotonic_time(nanosecond),
    Work(),
    erlang:monotonic_time(nanosecond) - Start.

calls(_, 0, _) -> ok;
calls(Server, N, Message) ->
    gen_server:call(Server, Message, infinity),
    calls(Server, N - 1, Message).

%% The same without gen_server: no monitor, no timeout.
bare_calls(_, 0) -> ok;
bare_calls(Echo, N) ->
    Ref = make_ref(),
    Echo ! {self(), Ref, 7},
    receive {Ref, _} -> bare_calls(Echo, N - 1) end.
echo() -> receive {From, Ref, Message} -> From ! {Ref, Message}, echo() end.

%% What each of N calls takes, in nanoseconds.
latencies(Server, N, Message) -> latencies(Server, N, Message, []).
latencies(_, 0, _, Each) -> Each;
latencies(Server, N, Message, Each) ->
    Took = timed(fun() -> gen_server:call(Server, Message, infinity) end),
    latencies(Server, N - 1, Message, [Took | Each]).

sequential(Server, N, Message) ->
    Start = erlang:monotonic_time(nanosecond),
    Each = latencies(Server, N, Message),
    {erlang:monotonic_time(nanosecond) - Start, list_to_tuple(lists:sort(Each))}.

%% Calls a second of so many processes together, N calls each, and what Work returned, appended.
concurrent(Server, Callers, N, Work) ->
    Self = self(),
    Start = erlang:monotonic_time(nanosecond),
    Pids = [spawn_link(fun() -> Self ! {self(), Work(Server, N)} end) || _ <- lists:seq(1, Callers)],
    Each = lists:append([receive {Pid, Latencies} -> Latencies end || Pid <- Pids]),
    {Callers * N / (erlang:monotonic_time(nanosecond) - Start) * 1.0e9, Each}.

%% Casts a second, until the server has counted them all.
cast_rate(Server, Message, N) ->
    ok = gen_server:call(Server, reset, infinity),
    Nanoseconds = timed(fun() ->
                            casts(Server, Message, N),
                            N = gen_server:call(Server, seen, infinity)
                        end),
    N / Nanoseconds * 1.0e9.
casts(_, _, 0) -> ok;
casts(Server, Message, N) ->
    gen_server:cast(Server, Message),
    casts(Server, Message, N - 1).

percentile(Sorted, Share) -> element(min(size(Sorted), 1 + trunc(size(Sorted) * Share)), Sorted).

spawns(Count, Time, Memory, Spawn) ->
    erlang:garbage_collect(),
    Before = resident_bytes(),
    Start = erlang:monotonic_time(nanosecond),
    Pids = [Spawn() || _ <- lists:seq(1, Count)],
    Nanoseconds = erlang:monotonic_time(nanosecond) - Start,
    timer:sleep(200),
    After = resident_bytes(),
    Count = length(Pids),
    result("W6", Time, "ns/actor", Nanoseconds / Count),
    result("W6", Memory, "B/actor", (After - Before) / Count).
idle() -> receive stop -> ok end.

resident_bytes() ->
    {ok, File} = file:open("/proc/self/statm", [read]),
    {ok, Line} = file:read_line(File),
    file:close(File),
    [_, Pages | _] = string:tokens(Line, " "),
    list_to_integer(Pages) * 4096.
