// memberlist-peer: what hashicorp/memberlist does where libcluster gossips and detects failures.
//
//	memberlist-peer WORKLOAD [SCALE]
//
// WORKLOAD is detect, pause, join or membership-idle; prints RES lines (README.md). Without encryption, which is
// memberlist's default.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	metrics "github.com/armon/go-metrics"
	"github.com/hashicorp/memberlist"
)

const (
	ringSize    = 5
	joinSize    = 50
	patience    = 60 * time.Second
	joinMost    = 15 * time.Second // what takes longer counts as that long, so that one run has an end
	idleMost    = 100 * time.Second
	pauseLength = 3 * time.Second
)

// The two profiles that memberlist offers for nodes as near to each other as these.
var profiles = map[string]func() *memberlist.Config{
	"LAN":   memberlist.DefaultLANConfig,
	"local": memberlist.DefaultLocalConfig,
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "memberlist-peer:", err)
		os.Exit(1)
	}
}

func result(profile, workload, metric, unit string, value float64) {
	fmt.Printf("RES\tmemberlist %s\t%s\t%s\t%s\t%g\n", profile, workload, metric, unit, value)
}

// Of a sorted list, the value that the share `of` does not exceed.
func quantile(values []float64, of float64) float64 {
	sort.Float64s(values)
	index := int(of * float64(len(values)))
	if index >= len(values) {
		index = len(values) - 1
	}
	return values[index]
}

func distribution(profile, workload, what string, values []float64) {
	result(profile, workload, what+" p50", "ms", quantile(values, 0.5))
	result(profile, workload, what+" p99", "ms", quantile(values, 0.99))
	result(profile, workload, what+" max", "ms", quantile(values, 1))
}

func start(profile, name string, events memberlist.EventDelegate) *memberlist.Memberlist {
	config := profiles[profile]()
	config.Name = name
	config.BindAddr = "127.0.0.1"
	config.AdvertiseAddr = "127.0.0.1"
	config.BindPort = 0
	config.Logger = log.New(io.Discard, "", 0)
	config.Events = events
	list, err := memberlist.Create(config)
	check(err)
	return list
}

func address(list *memberlist.Memberlist) string {
	return fmt.Sprintf("127.0.0.1:%d", list.LocalNode().Port)
}

// Prints who joins and who leaves.
type printer struct{}

func (printer) NotifyJoin(node *memberlist.Node)   { fmt.Println("join", node.Name) }
func (printer) NotifyLeave(node *memberlist.Node)  { fmt.Println("leave", node.Name) }
func (printer) NotifyUpdate(node *memberlist.Node) {}

// A node in a process of its own: `node PROFILE NAME [PEER]`. Prints `listens ADDRESS`, then its events.
// A line on its input asks for the bytes that it has sent.
func serve(arguments []string) {
	sink := metrics.NewInmemSink(time.Hour, 2*time.Hour)
	_, err := metrics.NewGlobal(metrics.DefaultConfig(""), sink)
	check(err)
	list := start(arguments[0], arguments[1], printer{})
	fmt.Println("listens", address(list))
	if len(arguments) > 2 {
		_, err := list.Join(arguments[2:])
		check(err)
	}
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		sent := 0.0
		for _, interval := range sink.Data() {
			interval.RLock()
			for name, counter := range interval.Counters {
				if strings.Contains(name, "memberlist.udp.sent") || strings.Contains(name, "memberlist.tcp.sent") {
					sent += counter.Sum
				}
			}
			interval.RUnlock()
		}
		fmt.Println("sent", sent)
	}
}

type event struct {
	at   time.Time
	text string
}

type process struct {
	command *exec.Cmd
	input   io.WriteCloser
	events  chan event
	address string
}

func spawn(profile, name string, peers ...string) *process {
	self, err := os.Executable()
	check(err)
	command := exec.Command(self, append([]string{"node", profile, name}, peers...)...)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	check(err)
	output, err := command.StdoutPipe()
	check(err)
	check(command.Start())
	made := &process{command: command, input: input, events: make(chan event, 10000)}
	go func() {
		lines := bufio.NewScanner(output)
		for lines.Scan() {
			made.events <- event{time.Now(), lines.Text()}
		}
		close(made.events)
	}()
	made.address = strings.TrimPrefix(made.wait("listens").text, "listens ")
	return made
}

// The next event whose text begins so.
func (p *process) wait(prefix string) event {
	limit := time.After(patience)
	for {
		select {
		case next, ok := <-p.events:
			if !ok {
				check(fmt.Errorf("a node ended while '%s' was awaited", prefix))
			}
			if strings.HasPrefix(next.text, prefix) {
				return next
			}
		case <-limit:
			check(fmt.Errorf("no '%s' within %v", prefix, patience))
		}
	}
}

// Events that have come and begin so, without waiting.
func (p *process) count(prefix string) int {
	found := 0
	for {
		select {
		case next := <-p.events:
			if strings.HasPrefix(next.text, prefix) {
				found++
			}
		default:
			return found
		}
	}
}

func (p *process) end() {
	check(p.command.Process.Kill())
	_ = p.command.Wait()
}

// A ring of processes in which all know all, or as many as do within `most`.
func ring(profile string, size int, most time.Duration) []*process {
	limit := time.Now().Add(most)
	nodes := []*process{spawn(profile, "node-0")}
	for i := 1; i < size; i++ {
		nodes = append(nodes, spawn(profile, "node-"+strconv.Itoa(i), nodes[0].address))
	}
	for _, node := range nodes {
		for i := 1; i < size; { // it said that of itself before it listened
			found := node.count("join ")
			i += found
			if found == 0 && time.Now().After(limit) {
				fmt.Fprintf(os.Stderr, "memberlist-peer: after %v a node knows %d of %d\n", most, i, size)
				break
			}
			if found == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
	return nodes
}

// kill -9 of one, until the last of the others says so.
func detect(profile string, times int) {
	var took []float64
	for i := 0; i < times; i++ {
		nodes := ring(profile, ringSize, patience)
		time.Sleep(time.Second)
		victim := nodes[ringSize-1]
		killed := time.Now()
		victim.end()
		last := killed
		for _, node := range nodes[:ringSize-1] {
			if heard := node.wait(fmt.Sprint("leave node-", ringSize-1)); heard.at.After(last) {
				last = heard.at
			}
		}
		took = append(took, float64(last.Sub(killed).Microseconds())/1e3)
		for _, node := range nodes[:ringSize-1] {
			node.end()
		}
	}
	distribution(profile, "detect", "last knows", took)
}

// SIGSTOP of one for 3 s: how often anybody declares it dead.
func pause(profile string, times int) {
	declared := 0
	nodes := ring(profile, ringSize, patience)
	for i := 0; i < times; i++ {
		victim := nodes[1+i%(ringSize-1)]
		check(victim.command.Process.Signal(syscall.SIGSTOP))
		time.Sleep(pauseLength)
		check(victim.command.Process.Signal(syscall.SIGCONT))
		time.Sleep(2 * time.Second)
		dead := 0
		for _, node := range nodes {
			dead += node.count("leave ")
		}
		if dead > 0 {
			declared++
			time.Sleep(5 * time.Second)
			for _, node := range nodes {
				node.count("")
			}
		}
	}
	for _, node := range nodes {
		node.end()
	}
	result(profile, "pause", "declared dead", "%", 100*float64(declared)/float64(times))
}

// 49 nodes join one, all at once, until each knows all; all in one process.
func join(profile string, times int) {
	var took []float64
	for i := 0; i < times; i++ {
		var lists []*memberlist.Memberlist
		for n := 0; n < joinSize; n++ {
			lists = append(lists, start(profile, "node-"+strconv.Itoa(n), nil))
		}
		begun := time.Now()
		var joins sync.WaitGroup
		for _, list := range lists[1:] {
			joins.Add(1)
			go func(list *memberlist.Memberlist) {
				defer joins.Done()
				_, err := list.Join([]string{address(lists[0])})
				check(err)
			}(list)
		}
		for _, list := range lists {
			for list.NumMembers() < joinSize && time.Since(begun) < joinMost {
				time.Sleep(time.Millisecond)
			}
		}
		took = append(took, float64(time.Since(begun).Microseconds())/1e3)
		joins.Wait()
		for _, list := range lists {
			check(list.Shutdown())
		}
	}
	distribution(profile, "join", "all know all", took)
}

func readFields(path string) []string {
	text, err := os.ReadFile(path)
	check(err)
	return strings.Fields(string(text))
}

// Nanoseconds of CPU that a process has used.
func cpu(pid int) float64 {
	sum := 0.0
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	check(err)
	for _, task := range tasks {
		used, err := strconv.ParseFloat(readFields(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, task.Name()))[0], 64)
		check(err)
		sum += used
	}
	return sum
}

func idle(profile string, size int, window time.Duration) {
	nodes := ring(profile, size, idleMost)
	time.Sleep(window)
	measure := func() (sent, used float64) {
		for _, node := range nodes {
			_, err := fmt.Fprintln(node.input, "sent")
			check(err)
			value, err := strconv.ParseFloat(strings.TrimPrefix(node.wait("sent").text, "sent "), 64)
			check(err)
			sent += value
			used += cpu(node.command.Process.Pid)
		}
		return
	}
	sentBefore, usedBefore := measure()
	time.Sleep(window)
	sent, used := measure()
	resident := 0.0
	for _, node := range nodes {
		pages, err := strconv.ParseFloat(readFields(fmt.Sprintf("/proc/%d/statm", node.command.Process.Pid))[1], 64)
		check(err)
		resident += pages * float64(os.Getpagesize())
		node.end()
	}
	per := float64(size) * window.Seconds()
	suffix := " of " + strconv.Itoa(size)
	result(profile, "idle", "payload"+suffix, "B/s", (sent-sentBefore)/per)
	result(profile, "idle", "CPU"+suffix, "%", (used-usedBefore)/per/1e9*100)
	result(profile, "idle", "RSS"+suffix, "MB", resident/float64(size)/1e6)
}

func main() {
	if len(os.Args) >= 4 && os.Args[1] == "node" {
		serve(os.Args[2:])
		return
	}
	scale := 1.0
	if len(os.Args) == 3 {
		var err error
		scale, err = strconv.ParseFloat(os.Args[2], 64)
		check(err)
	} else if len(os.Args) != 2 {
		check(fmt.Errorf("usage: memberlist-peer WORKLOAD [SCALE]"))
	}
	times := func(full int) int {
		if n := int(float64(full) * scale); n > 1 {
			return n
		}
		return 1
	}
	for _, profile := range []string{"LAN", "local"} {
		switch os.Args[1] {
		case "detect":
			detect(profile, times(5))
		case "pause":
			pause(profile, times(10))
		case "join":
			join(profile, times(10))
		case "idle":
			window := time.Duration(float64(10*time.Second) * scale)
			for _, size := range []int{3, joinSize} {
				idle(profile, size, window+500*time.Millisecond)
			}
		default:
			check(fmt.Errorf("there is no workload '%s'", os.Args[1]))
		}
	}
}
